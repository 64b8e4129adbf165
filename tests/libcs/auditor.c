// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// The smallest auditor that LD_AUDIT takes (rtld-audit(7)); also a library to preload.

unsigned int la_version(unsigned int version) { return version; }
