"""Parts of `kind: semantic_segmentation`: options, heads, windows, counts."""
