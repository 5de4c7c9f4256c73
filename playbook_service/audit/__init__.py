"""Every decision, attempt, effect, approval, refusal and configuration change, in a chain that shows tampering."""
