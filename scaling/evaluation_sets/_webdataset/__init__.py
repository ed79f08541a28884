"""Parts of `kind: webdataset`: options, the files of a set, its samples, their pictures."""
