Console.WriteLine("AgentFlow benchmarks");
