"""What a conversion is made of: options, plan, shards, workers, state, manifest."""
