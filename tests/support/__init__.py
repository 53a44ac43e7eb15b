"""What the tests stand on: a relay process, other people's WebRTC stacks as peers, and bad networks."""
