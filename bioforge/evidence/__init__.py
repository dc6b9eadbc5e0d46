"""What runs show: a run's facts and report, and how runs compare."""
