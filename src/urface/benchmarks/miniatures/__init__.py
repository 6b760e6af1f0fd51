"""Writers of small data sets in the exact layouts of the real ones, from synthetic faces; one file a layout."""
