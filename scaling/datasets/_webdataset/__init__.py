"""Parts of `kind: webdataset`: options, shards, indexes, which samples, which captions."""
