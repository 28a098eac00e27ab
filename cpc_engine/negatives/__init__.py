"""Negatives and the loss: identities of latents, masks, the queue, the hybrid sampler, and block-wise InfoNCE."""
