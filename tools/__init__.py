"""What happens to a trained model: export, inspection, attacks, the report, the command line."""
