"""Sweeps: many settings at several seeds, trained by several processes or machines, each as an ordinary run."""
