"""Pages of training: models, one view, one version, one run."""
