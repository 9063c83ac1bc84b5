"""Floor 7: views of the one certificate. They choose and format; they compute nothing of their own."""
