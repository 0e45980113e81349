"""The synthetic hand: bones and poses, flesh, a depth renderer, a sensor, and writers of real data sets' layouts."""
