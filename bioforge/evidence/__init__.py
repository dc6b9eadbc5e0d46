"""What runs show: reports, comparisons."""
