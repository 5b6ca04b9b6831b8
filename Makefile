# `make help` lists the targets. VENV names the virtual environment, ARGS goes to pytest.
VENV ?= .venv
export VENV

.DEFAULT_GOAL := help
.PHONY: help install demo test check runtime docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: ## install the package, the extra `train` and the tools into .venv
	@scripts/install dev

demo: ## write the sample set, train on it, evaluate; everything lands in runs/demo
	@scripts/install train
	@$(VENV)/bin/diffusionad demo --out runs/demo

test: ## run the tests; ARGS="tests/data -k mask" runs some
	@scripts/test $(ARGS)

check: ## check format, lint, types and the direction of imports
	@scripts/check

runtime: ## judge with the base install, which has no torch, in an environment of its own
	@scripts/check-runtime

docs: ## check the links of the documents
	@scripts/docs

clean: ## remove caches and built packages; runs/ and .venv stay
	@rm -rf dist build .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	@find src tests examples benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
