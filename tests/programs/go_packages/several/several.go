// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Package several has a variable's initialiser of 4 ms and three init functions of 2, 3 and 5 ms, the
// last with a frame so large that the stack grows on entry.
package several

import "time"

var Begun = spin(4 * time.Millisecond)

func spin(duration time.Duration) time.Time {
	begin := time.Now()
	for time.Since(begin) < duration {
	}
	return begin
}

func init() { spin(2 * time.Millisecond) }

func init() { spin(3 * time.Millisecond) }

func init() {
	var frame [64 << 10]byte
	for i := range frame {
		frame[i] = byte(spin(0).Nanosecond())
		if i == 16 {
			break
		}
	}
	spin(5*time.Millisecond + time.Duration(frame[1]%1))
}
