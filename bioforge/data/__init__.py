"""Reading, checking and keeping data sets."""
