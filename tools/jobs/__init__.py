"""The stages of the main job: train, export, attack, report; each works on its own."""
