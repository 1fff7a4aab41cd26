"""Keeping optimizers on disk."""

from l2o.deploy.save import load as load, save as save
