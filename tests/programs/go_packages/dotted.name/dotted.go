// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Package dotted sits in a folder with a dot in its name, which symbols escape, and takes 6 ms.
package dotted

import "time"

func init() {
	for begin := time.Now(); time.Since(begin) < 6*time.Millisecond; {
	}
}
