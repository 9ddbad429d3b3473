//! Bytes and who holds them: mapped weight files, budgets, address ranges, paging.
