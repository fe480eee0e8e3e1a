"""What a run is: registries of techniques, the checked config, its words and its place."""
