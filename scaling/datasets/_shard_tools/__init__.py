"""What `scaling data` does with shards: makes them, checks them, and writes them anew, smaller."""
