"""What a training run hands to a person: one page, its pictures, the sound of what is left over."""
