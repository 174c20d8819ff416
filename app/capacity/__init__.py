"""What a load needs: CPU, pods, memory and disk, from constants that say whether they were measured."""
