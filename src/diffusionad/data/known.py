"""Public data sets: in which layout each comes, where to get it, and its licence. Nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DATA_SETS", "DataSet"]


@dataclass(frozen=True, slots=True)
class DataSet:
    """A public data set.

    Attributes:
        name: as its makers call it.
        layout: name of the row of the table of layouts that reads it.
        url: where to get it.
        licence: under which terms; "check there" where the page is what counts.
    """

    name: str
    layout: str
    url: str
    licence: str


DATA_SETS = (
    DataSet("MVTec AD", "mvtec", "https://www.mvtec.com/company/research/datasets/mvtec-ad", "CC BY-NC-SA 4.0"),
    DataSet("MPDD", "mvtec", "https://github.com/stepanje/MPDD", "CC BY-NC-SA 4.0, check there"),
    DataSet("VisA", "visa", "https://github.com/amazon-science/spot-diff", "CC BY 4.0"),
    DataSet(
        "DAGM 2007",
        "dagm",
        "https://hci.iwr.uni-heidelberg.de/content/weakly-supervised-learning-industrial-optical-inspection",
        "a CDLA-Sharing kind of licence, check there",
    ),
    DataSet("BTAD", "btad", "http://avires.dimi.uniud.it/papers/btad/btad.zip", "CC BY-NC-SA 4.0"),
    DataSet("KolektorSDD", "kolektor", "https://www.vicos.si/resources/kolektorsdd/", "CC BY-NC-SA 4.0"),
    DataSet("KolektorSDD2", "kolektor", "https://www.vicos.si/resources/kolektorsdd2/", "CC BY-NC-SA 4.0"),
)
