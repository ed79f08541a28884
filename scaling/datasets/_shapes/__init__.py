"""Parts of the embedded dataset: words, scenes, pictures, captions, held-out sets."""
