// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Needs the library whose constructor stalls.

int StallingAnswer(void);

int main(void) { return StallingAnswer(); }
