"""The numerics under the weightings; private."""
