"""Files through a model: resumable, on one machine or many."""
