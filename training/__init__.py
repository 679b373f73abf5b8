"""How the model learns: pools, snapshots, runs, evaluation, promotion."""
