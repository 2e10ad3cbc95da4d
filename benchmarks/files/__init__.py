"""What `fidelity.py` is made of: cases with a known truth, tools that read them, verdicts."""
