"""What every component needs: requests and answers, the clock, observation, dependencies, and the shield."""
