"""Negatives: identity of latents, the queue, the hybrid sampler and the InfoNCE loss over what it gathers."""
