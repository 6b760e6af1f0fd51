"""Small data sets in the exact layouts of the real ones, written from synthetic faces; one file a layout."""
