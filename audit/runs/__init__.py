"""Floor 6: doing the work. Jobs are content-addressed, workers pull them, files are the truth."""
