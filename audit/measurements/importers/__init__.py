"""One file per foreign log; whatever comes through here gets losses, bounds and certificate without torch."""
