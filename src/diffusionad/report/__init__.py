"""What people look at: overlays, progress strips and the offline HTML page. Arrays in, pictures and one file out."""
