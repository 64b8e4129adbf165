// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Calls C before and after main.
package main

// #include <unistd.h>
// static int own_pid(void) { return (int)getpid(); }
import "C"

import "fmt"

var before = int(C.own_pid())

func main() {
	fmt.Println(before == int(C.own_pid()))
}
