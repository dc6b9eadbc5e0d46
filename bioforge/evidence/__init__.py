"""What a run shows: its facts, how good its model is on held-out rows, and the page that says so."""
