"""Every picture that gmaps draws: a sample of a store, a frame with its joints, an evaluation's curves."""
