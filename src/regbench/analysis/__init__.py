"""From runs to conclusions: groups, pairs, baselines, intervals, verdicts."""
