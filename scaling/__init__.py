"""Plans, trains, measures and records grids of models; the fits are in `fitting`."""
