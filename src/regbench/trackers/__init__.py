"""Write recorded runs into experiment trackers. Everything comes from the records: no tracker is near the training."""
