// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Package spinner computes for 12 ms in a variable's initialiser.
package spinner

import "time"

var Turns = spin(12 * time.Millisecond)

func spin(duration time.Duration) int {
	turns := 0
	for begin := time.Now(); time.Since(begin) < duration; {
		turns++
	}
	return turns
}
