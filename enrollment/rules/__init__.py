"""Rules of schools: levels, resolution, proposals, market form, sentences and presets."""
