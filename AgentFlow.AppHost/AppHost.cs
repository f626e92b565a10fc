// Aspire form
