//! Where a model's files are: embedded pocket models, local folders, the Hugging Face cache.
