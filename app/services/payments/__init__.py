"""Money in and out: the flows that talk to the payment provider."""
