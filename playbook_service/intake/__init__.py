"""Taking events in: authenticate, recognise, commit, answer 202; everything else happens later."""
